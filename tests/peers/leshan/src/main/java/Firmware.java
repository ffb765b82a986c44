import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** Firmware (object 5): it takes an image by push or pull, and is another version half a second after it was told to install it. */
public class Firmware extends BaseInstanceEnabler {
    private long state = 0, result = 0;
    private final long method;
    private final Fetching fetching;
    private String uri = "";

    public Firmware() {
        this(2, new Fetching());
    }

    Firmware(long method, Fetching fetching) {
        this.method = method;
        this.fetching = fetching;
    }

    synchronized void become(long state, long result) {
        this.state = state;
        this.result = result;
        fireResourceChange(3);
        fireResourceChange(5);
    }

    void taken(byte[] image) {
        say("image", image);
        become(2, 0);
    }

    static void say(String what, byte[] image) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(image);
            LeshanDevice.say("%s of %d bytes %s", what, image.length, HexFormat.of().formatHex(digest));
        } catch (Exception error) {
            LeshanDevice.say("%s: %s", what, error);
        }
    }

    @Override
    public synchronized ReadResponse read(LwM2mServer server, int resource) {
        switch (resource) {
        case 1:
            return ReadResponse.success(resource, uri);
        case 3:
            return ReadResponse.success(resource, state);
        case 5:
            return ReadResponse.success(resource, result);
        case 8: {
            Map<Integer, Long> protocols = new HashMap<>();
            protocols.put(0, 0L);
            protocols.put(1, 1L);
            protocols.put(2, 2L);
            return ReadResponse.success(resource, protocols, ResourceModel.Type.INTEGER);
        }
        case 9:
            return ReadResponse.success(resource, method);
        default:
            return super.read(server, resource);
        }
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        if (resource == 0) {
            taken((byte[]) value.getValue());
            return WriteResponse.success();
        }
        if (resource != 1) {
            return WriteResponse.methodNotAllowed();
        }
        uri = (String) value.getValue();
        become(uri.isEmpty() ? 0 : 1, 0);
        if (!uri.isEmpty()) {
            String address = uri;
            new Thread(() -> fetch(address)).start();
        }
        return WriteResponse.success();
    }

    private void fetch(String address) {
        LeshanDevice.say("fetching %s", address.substring(0, address.indexOf(':')));
        byte[] image;
        try {
            image = fetching.fetch(address);
        } catch (Exception error) {
            LeshanDevice.say("not fetched: %s", error);
            become(0, error instanceof java.io.IOException ? 4 : 7);
            return;
        }
        taken(image);
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        if (resource != 2 || state != 2) {
            return ExecuteResponse.methodNotAllowed();
        }
        become(3, 0);
        new Thread(() -> {
            try {
                Thread.sleep(500);
            } catch (InterruptedException error) {
                return;
            }
            become(0, 1);
        }).start();
        return ExecuteResponse.success();
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        return Arrays.asList(0, 1, 2, 3, 5, 8, 9);
    }
}
