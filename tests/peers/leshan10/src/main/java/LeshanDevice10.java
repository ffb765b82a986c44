import java.io.BufferedReader;
import java.io.InputStreamReader;

import org.eclipse.leshan.client.californium.LeshanClient;
import org.eclipse.leshan.client.californium.LeshanClientBuilder;
import org.eclipse.leshan.client.object.Device;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.core.request.BindingMode;

/**
 * A device of LwM2M 1.0, by Eclipse Leshan 1.5: the object 3.
 *
 * LeshanDevice10 URL ENDPOINT LIFETIME BINDING [bootstrap]; it ends with its standard input. With bootstrap, the URL is that of its
 * bootstrap server.
 */
public class LeshanDevice10 {
    public static void main(String[] arguments) throws Exception {
        ObjectsInitializer objects = new ObjectsInitializer();
        long lifetime = Long.parseLong(arguments[2]);
        if (arguments.length > 4) {
            objects.setInstancesForObject(0, Security.noSecBootstap(arguments[0]));
            objects.setClassForObject(1, Server.class);
        } else {
            objects.setInstancesForObject(0, Security.noSec(arguments[0], 123));
            objects.setInstancesForObject(1, new Server(123, lifetime, BindingMode.valueOf(arguments[3]), false));
        }
        objects.setInstancesForObject(3, new Device("Lobaro", "Box", "SN-1", arguments[3]));
        LeshanClientBuilder builder = new LeshanClientBuilder(arguments[1]);
        builder.setObjects(objects.createAll());
        LeshanClient client = builder.build();
        client.start();
        System.out.println("started");
        System.out.flush();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = input.readLine()) != null) {
            if (line.equals("update")) {
                client.triggerRegistrationUpdate();
            } else if (line.equals("quit")) {
                break;
            }
        }
        client.destroy(true);
        System.exit(0);
    }
}
